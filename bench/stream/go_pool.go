// stream with Go, by hand and for speed: four goroutines that live as long as the stream take jobs
// from one channel, and the places of the results are recycled. ns per task.
package main

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"knitbench"
)

type job struct {
	run    func() int
	result chan int
}

func noOp() int { return 0 }

func streamRound(n int) error {
	var wg sync.WaitGroup
	calls := 0
	free := make(chan *job, 64)
	for i := 0; i < 64; i++ {
		free <- &job{result: make(chan int, 1)}
	}
	jobs := make(chan *job, 64)
	queue := make(chan *job, 64)
	done := make(chan struct{})
	for w := 0; w < 4; w++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for j := range jobs {
				j.result <- j.run()
			}
		}()
	}
	go func() {
		for j := range queue {
			calls += 1 + <-j.result
			free <- j
		}
		close(done)
	}()
	for i := 0; i < n; i++ {
		j := <-free
		j.run = noOp
		queue <- j
		jobs <- j
	}
	close(jobs)
	close(queue)
	wg.Wait()
	<-done
	if calls != n {
		return errors.New("the number of calls")
	}
	return nil
}

func main() {
	_, size, _ := knitbench.Args()
	knitbench.Check(streamRound(size))
	start := time.Now()
	knitbench.Check(streamRound(size))
	fmt.Printf("%.3f\n", knitbench.Per(start, size))
}

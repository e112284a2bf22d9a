// stream with Go, by hand (sourcegraph/conc, which has one, is not packaged): a channel of 64 places
// holds a channel for each task's result, in order; a goroutine per task; one goroutine makes the
// calls. ns per task.
package main

import (
	"errors"
	"fmt"
	"time"

	"knitbench"
)

func noOp() int { return 0 }

func streamRound(n int) error {
	calls := 0
	queue := make(chan chan int, 64)
	done := make(chan struct{})
	go func() {
		for result := range queue {
			calls += 1 + <-result
		}
		close(done)
	}()
	for i := 0; i < n; i++ {
		result := make(chan int, 1)
		queue <- result
		go func() { result <- noOp() }()
	}
	close(queue)
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

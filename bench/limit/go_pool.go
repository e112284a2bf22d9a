// limit with Go, by hand: four goroutines take functions from a buffered channel; the first error
// is kept. ns per task.
package main

import (
	"fmt"
	"sync"
	"time"

	"knitbench"
)

func noOp() error { return nil }

func limitRound(n int) error {
	var (
		wg    sync.WaitGroup
		once  sync.Once
		first error
	)
	jobs := make(chan func() error, 128)
	for w := 0; w < 4; w++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for job := range jobs {
				if err := job(); err != nil {
					once.Do(func() { first = err })
				}
			}
		}()
	}
	for i := 0; i < n; i++ {
		jobs <- noOp
	}
	close(jobs)
	wg.Wait()
	return first
}

func main() {
	_, size, _ := knitbench.Args()
	knitbench.Check(limitRound(size))
	start := time.Now()
	knitbench.Check(limitRound(size))
	fmt.Printf("%.3f\n", knitbench.Per(start, size))
}

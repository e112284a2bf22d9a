// semaphore with Go: 100 goroutines, SIZE pairs each on one x/sync semaphore, weights 1 to 3 of 8. ns
// per pair.
package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"knitbench"
)

const tasks = 100

func play(rounds int) float64 {
	s := semaphore.NewWeighted(8)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	start := time.Now()
	wg.Add(tasks)
	for t := 0; t < tasks; t++ {
		go func() {
			defer wg.Done()
			for i := 0; i < rounds; i++ {
				n := int64(1 + i%3)
				if s.Acquire(ctx, n) != nil {
					panic("acquire")
				}
				s.Release(n)
			}
		}()
	}
	wg.Wait()
	return float64(time.Since(start).Nanoseconds()) / float64(rounds*tasks)
}

func main() {
	_, size, _ := knitbench.Args()
	play(size/10 + 1)
	fmt.Printf("%.3f\n", play(size))
}

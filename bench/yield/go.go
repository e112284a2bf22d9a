// yield with Go: two goroutines per thread call runtime.Gosched, SIZE times in all. ns per yield.
package main

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"knitbench"
)

func yieldRound(yields, count int) float64 {
	each := yields / count
	var wg sync.WaitGroup
	start := time.Now()
	for i := 0; i < count; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for k := 0; k < each; k++ {
				runtime.Gosched()
			}
		}()
	}
	wg.Wait()
	return knitbench.Per(start, each*count)
}

func main() {
	threads, size, _ := knitbench.Args()
	yieldRound(size/10+2*threads, 2*threads)
	fmt.Printf("%.3f\n", yieldRound(size, 2*threads))
}

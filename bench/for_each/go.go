// for_each with Go, by hand: a goroutine per thread takes indices from an atomic counter. EXTRA 0:
// one at a time, each body a call of a function value; 1: 4096 at a time, the body inlined.
// ns per body.
package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"knitbench"
)

func body(i int) uint8 { return uint8((uint32(i) * 2654435761) >> 24) }

func loop(threads, n, chunk int, run func(begin, end int)) {
	var (
		next int64
		wg   sync.WaitGroup
	)
	for w := 0; w < threads; w++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				end := int(atomic.AddInt64(&next, int64(chunk)))
				begin := end - chunk
				if begin >= n {
					return
				}
				if end > n {
					end = n
				}
				run(begin, end)
			}
		}()
	}
	wg.Wait()
}

func main() {
	threads, n, extra := knitbench.Args()
	a := make([]uint8, n)
	one := func(i int) { a[i] = body(i) }
	chunk, run := 1, func(begin, end int) { one(begin) }
	if extra == 1 {
		chunk, run = 4096, func(begin, end int) {
			part := a[begin:end]
			for i := range part {
				part[i] = body(begin + i)
			}
		}
	}
	loop(threads, n, chunk, run)
	start := time.Now()
	loop(threads, n, chunk, run)
	fmt.Printf("%.4f\n", knitbench.Per(start, n))
}

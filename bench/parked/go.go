// parked with Go: SIZE goroutines wait on one channel, which is then closed; twice. Output as
// knit.c.
package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"knitbench"
)

type costs struct{ bytes, create, wake float64 }

func parkRound(n int) costs {
	gate := make(chan struct{})
	var wg sync.WaitGroup
	var arrived int64
	before := knitbench.RSS()
	start := time.Now()
	wg.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			defer wg.Done()
			atomic.AddInt64(&arrived, 1)
			<-gate
		}()
	}
	for atomic.LoadInt64(&arrived) < int64(n) {
		runtime.Gosched()
	}
	create := knitbench.Per(start, n)
	after := knitbench.RSS()
	closing := time.Now()
	close(gate)
	wg.Wait()
	wake := knitbench.Per(closing, n)
	return costs{float64(after-before) / float64(n), create, wake}
}

func main() {
	_, size, _ := knitbench.Args()
	parkRound(10)
	fresh := parkRound(size)
	again := parkRound(size)
	fmt.Printf("%.1f create=%.1f recycled=%.1f wake=%.1f\n",
		fresh.bytes, fresh.create, again.create, again.wake)
}

// unstarted with Go: it has no queue of functions, so what may not start yet is a goroutine that
// waits for a slot of a semaphore channel. Bytes of resident memory for each of SIZE.
package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"knitbench"
)

func main() {
	_, size, _ := knitbench.Args()
	slots := make(chan struct{})
	var wg sync.WaitGroup
	var arrived, ran int64
	before := knitbench.RSS()
	wg.Add(size)
	for i := 0; i < size; i++ {
		go func() {
			defer wg.Done()
			atomic.AddInt64(&arrived, 1)
			<-slots
			atomic.AddInt64(&ran, 1)
		}()
	}
	for atomic.LoadInt64(&arrived) < int64(size) {
		runtime.Gosched()
	}
	bytes := float64(knitbench.RSS()-before) / float64(size)
	close(slots)
	wg.Wait()
	if ran != int64(size) {
		panic("tasks lost")
	}
	fmt.Printf("%.2f\n", bytes)
}

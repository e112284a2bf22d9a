// handoff with Go. Problem and output as knit.c. Go cannot tell its runtime beforehand: a system
// call is a system call, so the first value is the second.
package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"knitbench"
)

const hold = 50 * time.Millisecond

func round(compute bool, tasks, steps int) float64 {
	var wg sync.WaitGroup
	var left = int64(tasks)
	var began, ended time.Time
	time.Sleep(5 * time.Millisecond)
	wg.Add(tasks + 1)
	go func() {
		defer wg.Done()
		began = time.Now()
		if compute {
			knitbench.Spin(steps)
		} else {
			ts := syscall.NsecToTimespec(int64(hold))
			_ = syscall.Nanosleep(&ts, nil)
		}
	}()
	runtime.Gosched()
	for i := 0; i < tasks; i++ {
		go func() {
			defer wg.Done()
			if atomic.AddInt64(&left, -1) == 0 {
				ended = time.Now()
			}
		}()
	}
	wg.Wait()
	return float64(ended.Sub(began).Nanoseconds()) / 1e3
}

func main() {
	_, size, extra := knitbench.Args()
	if extra == 0 {
		extra = 15
	}
	steps := knitbench.SpinSteps(hold)
	var middle [2]float64
	for kind := 0; kind < 2; kind++ {
		round(kind == 1, size, steps)
		took := make([]float64, extra)
		for i := range took {
			took[i] = round(kind == 1, size, steps)
		}
		middle[kind] = knitbench.Median(took)
	}
	fmt.Printf("%.1f unmarked=%.1f compute=%.1f\n", middle[0], middle[0], middle[1])
}

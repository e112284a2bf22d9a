// mutex with Go: 100 goroutines, SIZE pairs each on one sync.Mutex. ns per pair.
package main

import (
	"fmt"
	"sync"
	"time"

	"knitbench"
)

const tasks = 100

func play(rounds int) float64 {
	var m sync.Mutex
	var wg sync.WaitGroup
	counter := 0
	start := time.Now()
	wg.Add(tasks)
	for t := 0; t < tasks; t++ {
		go func() {
			defer wg.Done()
			for i := 0; i < rounds; i++ {
				m.Lock()
				counter++
				m.Unlock()
			}
		}()
	}
	wg.Wait()
	took := time.Since(start)
	if counter != rounds*tasks {
		panic("count")
	}
	return float64(took.Nanoseconds()) / float64(rounds*tasks)
}

func main() {
	_, size, _ := knitbench.Args()
	play(size/10 + 1)
	fmt.Printf("%.3f\n", play(size))
}

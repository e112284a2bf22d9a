// pingpong with Go: two goroutines, two unbuffered channels. ns per round trip.
package main

import (
	"sync"
	"time"

	"knitbench"
)

func play(rounds, _ int) float64 {
	there := make(chan int)
	back := make(chan int)
	var wg sync.WaitGroup
	start := time.Now()
	wg.Add(2)
	go func() {
		defer wg.Done()
		for i := 0; i < rounds; i++ {
			back <- <-there
		}
	}()
	go func() {
		defer wg.Done()
		for i := 0; i < rounds; i++ {
			there <- i
			if <-back != i {
				panic("wrong item")
			}
		}
	}()
	wg.Wait()
	return knitbench.Per(start, rounds)
}

func main() {
	knitbench.Play(0, play)
}

// semaphore with Go's other idiom, a buffered channel, which has no weights: 100 goroutines, SIZE pairs
// each, 1 of EXTRA + 1; EXTRA 0: one goroutine alone. ns per pair.
package main

import (
	"context"

	"knitbench"
)

func play(rounds, heaviest int) float64 {
	if heaviest > 1 {
		panic("no weights")
	}
	s := make(chan struct{}, heaviest+1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tasks := 1
	if heaviest > 0 {
		tasks = 100
	}
	return knitbench.Tasks(tasks, func() {
		for i := 0; i < rounds; i++ {
			select { // as Acquire, it can be cancelled
			case s <- struct{}{}:
			case <-ctx.Done():
				panic("cancelled")
			}
			<-s
		}
	}) / float64(rounds*tasks)
}

func main() {
	knitbench.Play(0, play)
}

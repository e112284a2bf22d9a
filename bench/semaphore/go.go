// semaphore with Go: 100 goroutines, SIZE pairs each on one x/sync semaphore, weights 1 to EXTRA of
// EXTRA + 1; EXTRA 0: one goroutine alone, weight 1. ns per pair.
package main

import (
	"context"

	"golang.org/x/sync/semaphore"
	"knitbench"
)

func play(rounds, heaviest int) float64 {
	s := semaphore.NewWeighted(int64(heaviest + 1))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tasks := 1
	if heaviest > 0 {
		tasks = 100
	}
	return knitbench.Tasks(tasks, func() {
		for i := 0; i < rounds; i++ {
			n := int64(1)
			if heaviest > 1 {
				n = int64(1 + i%heaviest)
			}
			knitbench.Check(s.Acquire(ctx, n))
			s.Release(n)
		}
	}) / float64(rounds*tasks)
}

func main() {
	knitbench.Play(0, play)
}

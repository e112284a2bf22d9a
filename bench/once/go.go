// once with Go: EXTRA goroutines, SIZE calls each of one sync.Once. ns of elapsed time per call.
package main

import (
	"sync"

	"knitbench"
)

func play(rounds, tasks int) float64 {
	var o sync.Once
	calls := 0
	took := knitbench.Tasks(tasks, func() {
		for i := 0; i < rounds; i++ {
			o.Do(func() { calls++ })
		}
	})
	if calls != 1 {
		panic("calls")
	}
	return took / float64(rounds*tasks)
}

func main() {
	knitbench.Play(100, play)
}

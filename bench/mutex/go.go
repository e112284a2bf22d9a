// mutex with Go: EXTRA goroutines, SIZE pairs each on one sync.Mutex. ns per pair.
package main

import (
	"sync"

	"knitbench"
)

func play(rounds, tasks int) float64 {
	var m sync.Mutex
	counter := 0
	took := knitbench.Tasks(tasks, func() {
		for i := 0; i < rounds; i++ {
			m.Lock()
			counter++
			m.Unlock()
		}
	})
	if counter != rounds*tasks {
		panic("count")
	}
	return took / float64(rounds*tasks)
}

func main() {
	knitbench.Play(100, play)
}

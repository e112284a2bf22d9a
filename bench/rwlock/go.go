// rwlock with Go: EXTRA goroutines, SIZE pairs each on one sync.RWMutex, every 16th for writing. ns per
// pair.
package main

import (
	"sync"

	"knitbench"
)

func play(rounds, tasks int) float64 {
	var l sync.RWMutex
	counter := 0
	took := knitbench.Tasks(tasks, func() {
		least := 0
		for i := 1; i <= rounds; i++ {
			if i%16 == 0 {
				l.Lock()
				counter++
				l.Unlock()
			} else {
				l.RLock()
				if counter < least {
					panic("count went back")
				}
				least = counter
				l.RUnlock()
			}
		}
	})
	if counter != rounds/16*tasks {
		panic("count")
	}
	return took / float64(rounds*tasks)
}

func main() {
	knitbench.Play(100, play)
}

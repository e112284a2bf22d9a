// singleflight with Go: EXTRA goroutines, SIZE calls each for one key of an x/sync singleflight; the
// function gives way to the others once. ns of elapsed time per call.
package main

import (
	"runtime"

	"golang.org/x/sync/singleflight"
	"knitbench"
)

func play(rounds, tasks int) float64 {
	var g singleflight.Group
	return knitbench.Tasks(tasks, func() {
		for i := 0; i < rounds; i++ {
			v, err, _ := g.Do("key", func() (interface{}, error) {
				runtime.Gosched()
				return &g, nil
			})
			knitbench.Check(err)
			if v != &g {
				panic("value")
			}
		}
	}) / float64(rounds*tasks)
}

func main() {
	knitbench.Play(1, play)
}

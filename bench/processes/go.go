// processes with Go: SIZE commands `true` by os/exec in an errgroup, at most EXTRA at once. us per
// command.
package main

import (
	"os/exec"
	"time"

	"golang.org/x/sync/errgroup"
	"knitbench"
)

func play(size, limit int) float64 {
	var g errgroup.Group
	g.SetLimit(limit)
	start := time.Now()
	for i := 0; i < size; i++ {
		g.Go(func() error { return exec.Command("true").Run() })
	}
	knitbench.Check(g.Wait())
	return float64(time.Since(start).Nanoseconds()) / 1e3 / float64(size)
}

func main() {
	knitbench.Play(8, play)
}

// spawn with Go: SIZE no-op functions in one errgroup. ns per task.
package main

import (
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"knitbench"
)

func noOp() error { return nil }

func spawnRound(n int) {
	var g errgroup.Group
	for i := 0; i < n; i++ {
		g.Go(noOp)
	}
	knitbench.Check(g.Wait())
}

func main() {
	_, size, _ := knitbench.Args()
	spawnRound(size)
	start := time.Now()
	spawnRound(size)
	ns := knitbench.Per(start, size)
	fmt.Printf("%.3f peak=%.1f\n", ns, knitbench.PeakMB())
}

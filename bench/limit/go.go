// limit with Go: SIZE no-op functions in one errgroup with SetLimit(4). ns per task.
package main

import (
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"knitbench"
)

func noOp() error { return nil }

func limitRound(n int) {
	var g errgroup.Group
	g.SetLimit(4)
	for i := 0; i < n; i++ {
		g.Go(noOp)
	}
	knitbench.Check(g.Wait())
}

func main() {
	_, size, _ := knitbench.Args()
	limitRound(size)
	start := time.Now()
	limitRound(size)
	fmt.Printf("%.3f\n", knitbench.Per(start, size))
}

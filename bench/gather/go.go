// gather with Go: SIZE functions of an errgroup (pooled: with SetLimit(4)), each of which stores its
// error by index. See knit.c for the values.
package main

import (
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"knitbench"
)

func twice(value *int) error {
	*value *= 2
	return nil
}

func gatherRound(limit, n int) float64 {
	start := time.Now()
	values, errs := make([]int, n), make([]error, n)
	var g errgroup.Group
	g.SetLimit(limit)
	for i := 0; i < n; i++ {
		i := i
		values[i] = i
		g.Go(func() error {
			errs[i] = twice(&values[i])
			return nil
		})
	}
	knitbench.Check(g.Wait())
	took := knitbench.Per(start, n)
	for i := range values {
		if errs[i] != nil || values[i] != 2*i {
			panic("a result")
		}
	}
	return took
}

func main() {
	_, size, _ := knitbench.Args()
	gatherRound(-1, size)
	unlimited := gatherRound(-1, size)
	gatherRound(4, size)
	fmt.Printf("%.3f pooled=%.3f\n", unlimited, gatherRound(4, size))
}

// wake with Go. Problem and output as knit.c.
package main

import (
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"knitbench"
)

func noOp() error { return nil }

func burst(f func() error, n int) float64 {
	time.Sleep(time.Millisecond)
	start := time.Now()
	var g errgroup.Group
	for i := 0; i < n; i++ {
		g.Go(f)
	}
	knitbench.Check(g.Wait())
	return knitbench.Per(start, 1)
}

func oneByOne(f func() error, n int) float64 {
	time.Sleep(time.Millisecond)
	start := time.Now()
	for i := 0; i < n; i++ {
		knitbench.Check(f())
	}
	return knitbench.Per(start, 1)
}

func speedUp(d time.Duration, n, rounds int) float64 {
	steps := knitbench.SpinSteps(d)
	compute := func() error {
		knitbench.Spin(steps)
		return nil
	}
	var serial, parallel []float64
	for i := 0; i < rounds; i++ {
		serial = append(serial, oneByOne(compute, n))
		parallel = append(parallel, burst(compute, n))
	}
	return knitbench.Median(serial) / knitbench.Median(parallel)
}

func main() {
	_, rounds, _ := knitbench.Args()
	for i := 0; i < 10; i++ {
		burst(noOp, 64)
	}
	var took []float64
	for i := 0; i < rounds; i++ {
		took = append(took, burst(noOp, 64))
	}
	x16 := speedUp(10*time.Microsecond, 16, rounds)
	x4 := speedUp(100*time.Microsecond, 4, rounds)
	fmt.Printf("%.0f x16=%.3f x4=%.3f\n", knitbench.Median(took), x16, x4)
}

// forkjoin with Go: an errgroup in every call. ns per spawn.
package main

import (
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"knitbench"
)

func fib(n int) int {
	if n < 2 {
		return n
	}
	var g errgroup.Group
	var a int
	g.Go(func() error {
		a = fib(n - 1)
		return nil
	})
	b := fib(n - 2)
	knitbench.Check(g.Wait())
	return a + b
}

// spawns is how many calls of fib(n) have two halves.
func spawns(n int) int {
	a, b := 0, 1
	for i := 0; i <= n; i++ {
		a, b = b, a+b
	}
	return a - 1
}

func main() {
	_, size, _ := knitbench.Args()
	fib(size - 3)
	start := time.Now()
	fib(size)
	fmt.Printf("%.3f\n", knitbench.Per(start, spawns(size)))
}

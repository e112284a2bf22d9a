// finished with Go: an errgroup with SetLimit(64). See knit.c for the values; size is that of the struct,
// without the channel it points to.
package main

import (
	"fmt"
	"unsafe"

	"golang.org/x/sync/errgroup"
	"knitbench"
)

func noOp() error { return nil }

func goSome(g *errgroup.Group, n int) {
	for i := 0; i < n; i++ {
		g.Go(noOp)
	}
}

func main() {
	_, size, _ := knitbench.Args()
	var g errgroup.Group
	g.SetLimit(64)
	goSome(&g, size/10)
	early := knitbench.RSS()
	goSome(&g, size-size/10)
	late := knitbench.RSS()
	knitbench.Check(g.Wait())
	fmt.Printf("%.1f size=%d\n", float64(late-early)/1000, unsafe.Sizeof(g))
}

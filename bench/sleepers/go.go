// sleepers with Go: SIZE goroutines of an errgroup sleep 1 to 1000 ms each. Lateness in us, median
// and 99th percentile; processor time; memory.
package main

import (
	"fmt"
	"sort"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"knitbench"
)

const spreadMs, stride = 1000, 7919

func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

func sleepRound(late []float64) {
	var g errgroup.Group
	for i := range late {
		i := i
		g.Go(func() error {
			d := time.Duration(1+i*stride%spreadMs) * time.Millisecond
			start := time.Now()
			time.Sleep(d)
			late[i] = float64((time.Since(start) - d).Nanoseconds()) / 1000
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		panic(err)
	}
}

func main() {
	_, size, _ := knitbench.Args()
	late := make([]float64, size)
	sleepRound(late[:size/100+1])
	cpu := cpuSeconds()
	sleepRound(late)
	used := cpuSeconds() - cpu
	sort.Float64s(late)
	fmt.Printf("%.1f p99=%.1f cpu=%.3f peak=%.1f\n", late[size/2], late[size-1-size/100], used,
		knitbench.PeakMB())
}

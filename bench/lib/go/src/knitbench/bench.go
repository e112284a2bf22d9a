// Package knitbench is what all Go programs of the benchmark share.
package knitbench

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Args reads `prog THREADS SIZE [EXTRA]` and sets GOMAXPROCS to THREADS.
func Args() (threads, size, extra int) {
	if len(os.Args) < 3 {
		fmt.Fprintf(os.Stderr, "usage: %s THREADS SIZE [EXTRA]\n", os.Args[0])
		os.Exit(2)
	}
	threads, _ = strconv.Atoi(os.Args[1])
	size, _ = strconv.Atoi(os.Args[2])
	if len(os.Args) > 3 {
		extra, _ = strconv.Atoi(os.Args[3])
	}
	if threads < 1 || size < 1 {
		fmt.Fprintln(os.Stderr, "THREADS and SIZE are at least 1")
		os.Exit(2)
	}
	runtime.GOMAXPROCS(threads)
	return threads, size, extra
}

// Play is all of main: it plays with SIZE and EXTRA, first untimed with a tenth of the size.
func Play(defaultExtra int, play func(size, extra int) float64) {
	_, size, extra := Args()
	if extra < 1 {
		extra = defaultExtra
	}
	first := 1
	if extra > 0 {
		first = extra
	}
	play(size/10+first, extra)
	fmt.Printf("%.3f\n", play(size, extra))
}

// Tasks runs so many goroutines and waits for them: the elapsed time in ns.
func Tasks(n int, fn func()) float64 {
	var wg sync.WaitGroup
	start := time.Now()
	wg.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			defer wg.Done()
			fn()
		}()
	}
	wg.Wait()
	return float64(time.Since(start).Nanoseconds())
}

// Check ends the program on an error: a benchmark that fails has no result.
func Check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// RSS is the resident memory now, in bytes.
func RSS() int {
	text, err := os.ReadFile("/proc/self/statm")
	Check(err)
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	Check(err)
	return pages * os.Getpagesize()
}

// PeakMB is the most memory this process ever had resident, in 10^6 bytes.
func PeakMB() float64 {
	file, err := os.Open("/proc/self/status")
	Check(err)
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); fields[0] == "VmHWM:" {
			kib, err := strconv.Atoi(fields[1])
			Check(err)
			return float64(kib) * 1024 / 1e6
		}
	}
	return 0
}

// Median is the middle of the values; it sorts them.
func Median(values []float64) float64 {
	sort.Float64s(values)
	return values[len(values)/2]
}

// Per is the time since start in ns, divided by n.
func Per(start time.Time, n int) float64 {
	return float64(time.Since(start).Nanoseconds()) / float64(n)
}

// Sink keeps the compiler from removing Spin's loop.
var Sink uint64

// Spin computes for a while: dependent multiplications nobody can shorten.
func Spin(steps int) {
	x := uint64(1)
	for i := 0; i < steps; i++ {
		x = x*6364136223846793005 + 1442695040888963407
	}
	if x == 0 {
		Sink = x
	}
}

// SpinSteps is how many steps of Spin take d: the best of some trials.
func SpinSteps(d time.Duration) int {
	const trial = 100000
	best := time.Hour
	for i := 0; i < 20; i++ {
		start := time.Now()
		Spin(trial)
		if took := time.Since(start); took < best {
			best = took
		}
	}
	return int(float64(trial) * float64(d) / float64(best))
}

// A static program of the other big family of run-times: goroutines on many threads, preempted by signals, the network
// poller, subprocesses and files. Every line it prints is the same in each run.
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func check(what string, err error) {
	if err != nil {
		fmt.Printf("%s: %v\n", what, err)
		os.Exit(1)
	}
}

func goroutines() {
	var total int64
	var group sync.WaitGroup
	numbers := make(chan int, 16)
	for i := 0; i < 1000; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := range numbers {
				atomic.AddInt64(&total, int64(n))
				runtime.Gosched()
			}
		}()
	}
	for i := 1; i <= 20000; i++ {
		numbers <- i
	}
	close(numbers)
	group.Wait()
	fmt.Println("sum", total)
}

// A loop without calls can be stopped only by the run-time's SIGURG.
func preemption() {
	var stop, rounds int64
	go func() {
		for atomic.LoadInt64(&stop) == 0 {
			rounds++
		}
	}()
	for i := 0; i < 5; i++ {
		time.Sleep(5 * time.Millisecond)
		runtime.GC()
	}
	atomic.StoreInt64(&stop, 1)
	fmt.Println("preempted")
}

func threads() {
	var group sync.WaitGroup
	for i := 0; i < 32; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			runtime.LockOSThread()
			syscall.Nanosleep(&syscall.Timespec{Nsec: 20000000}, nil)
		}()
	}
	group.Wait()
	fmt.Println("32 locked threads")
}

func web() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check("listen", err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %x", r.Method, r.URL.Path, sha256.Sum256(body))
	})}
	go server.Serve(listener)
	var group sync.WaitGroup
	answers := make([]string, 50)
	for i := range answers {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			url := fmt.Sprintf("http://%s/%d", listener.Addr(), i)
			response, err := http.Post(url, "text/plain", strings.NewReader(strings.Repeat("x", i*1000)))
			check("post", err)
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			answers[i] = string(body)
		}(i)
	}
	group.Wait()
	fmt.Printf("http %x\n", sha256.Sum256([]byte(strings.Join(answers, "\n"))))
	check("shutdown", server.Shutdown(context.Background()))
}

func unixSocket(dir string) {
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	check("listen unix", err)
	go func() {
		c, err := listener.Accept()
		check("accept", err)
		io.Copy(c, c)
		c.Close()
	}()
	c, err := net.Dial("unix", filepath.Join(dir, "s"))
	check("dial", err)
	fmt.Fprintln(c, "through a unix socket")
	line, err := bufio.NewReader(c).ReadString('\n')
	check("read", err)
	fmt.Print(line)
	c.Close()
	listener.Close()
}

func subprocesses() {
	command := exec.Command("/bin/sh", "-c", "cat; echo to stderr >&2; exit 7")
	command.Stdin = strings.NewReader("piped through\n")
	out, err := command.CombinedOutput()
	fmt.Printf("%q %v\n", out, err)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	fmt.Println(exec.CommandContext(ctx, "/bin/sleep", "100").Run())
}

func signals() {
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	select {
	case s := <-got:
		fmt.Println("signal", s)
	case <-time.After(5 * time.Second):
		fmt.Println("no signal")
	}
}

func fault() {
	defer func() { fmt.Println("recovered:", recover()) }()
	var p *int
	*p = 1
}

func files(dir string) {
	for i := 0; i < 200; i++ {
		name := filepath.Join(dir, fmt.Sprintf("f%03d", i))
		check("write", os.WriteFile(name, []byte(name), 0o640))
	}
	var names []string
	check("walk", filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		names = append(names, path[len(dir):])
		return err
	}))
	sort.Strings(names)
	fmt.Println(len(names), names[1], names[len(names)-1])
}

func main() {
	dir, err := os.MkdirTemp("", "go")
	check("tmp", err)
	defer os.RemoveAll(dir)
	goroutines()
	preemption()
	threads()
	web()
	unixSocket(dir)
	subprocesses()
	signals()
	fault()
	files(dir)
	fmt.Println(runtime.GOOS, runtime.GOARCH, len(os.Args), os.Getenv("GREETING"))
}

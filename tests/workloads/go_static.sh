# A static Go program: goroutines on threads, preemption by signals, the poller, HTTP, subprocesses (see go/main.go).
#: with @gobin/gotest:/test/gotest
#: args /test/gotest one two
#: config .process.env += ["GREETING=hello"]

package kafkatest

import (
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// starter starts processes from one thread that never ends: the kernel ends a
// child with the thread that started it, which is how a broker dies with a
// test process that is killed or runs out of its time.
type starter struct {
	once sync.Once
	jobs chan func()
}

var processes starter

func (s *starter) start(cmd *exec.Cmd) error {
	s.once.Do(func() {
		s.jobs = make(chan func())
		go func() {
			runtime.LockOSThread()
			for job := range s.jobs {
				job()
			}
		}()
	})
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	done := make(chan error)
	s.jobs <- func() { done <- cmd.Start() }
	return <-done
}

// process is one broker that runs.
type process struct {
	cmd    *exec.Cmd
	log    *os.File
	exited chan struct{}
}

func launch(cmd *exec.Cmd, logFile string) (*process, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = log, log
	p := &process{cmd: cmd, log: log, exited: make(chan struct{})}
	if err := processes.start(cmd); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.exited)
		_ = cmd.Wait() // killed, mostly
		_ = log.Close()
	}()
	return p, nil
}

// kill ends the process at once, as a power failure would, and waits.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.exited
}

func (p *process) signal(s os.Signal) {
	_ = p.cmd.Process.Signal(s) // it may have ended by itself
}

// running is false when the process has ended.
func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

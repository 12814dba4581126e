// Command controlplane is a Kubernetes control plane for tests in one binary.
// Its first argument names the component to run; the published components are
// linked unchanged, so what a test sees is the behaviour of the real servers.
package main

import (
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	_ "time/tzdata" // time zones of CronJobs on machines that have none

	jq "github.com/itchyny/gojq/cli"
	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

// components maps the first argument to the command it runs.
var components = map[string]func() *cobra.Command{
	"etcd":                    newEtcdCommand,
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllermanager.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kubectl":                 func() *cobra.Command { return kubectl.NewDefaultKubectlCommand() },
	"jq":                      newJqCommand,
}

const usage = "usage: controlplane etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubectl|jq [flags]"

func main() {
	// A link named like a component runs it, so that the binary can stand in a
	// directory that expects the components as programs of their own.
	if _, linked := components[filepath.Base(os.Args[0])]; !linked {
		os.Args = os.Args[1:]
	}
	if len(os.Args) == 0 {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	name := filepath.Base(os.Args[0])
	newCommand, known := components[name]
	if !known {
		fmt.Fprintf(os.Stderr, "controlplane: unknown component %q\n%s\n", os.Args[0], usage)
		os.Exit(2)
	}
	// The components read os.Args themselves, as if they were started by name.
	os.Args[0] = name
	os.Exit(cli.Run(newCommand()))
}

// newJqCommand is jq, which stories read answers with and which a machine may not have. It parses
// its own arguments.
func newJqCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "jq",
		DisableFlagParsing: true,
		Run:                func(*cobra.Command, []string) { os.Exit(jq.Run()) },
	}
}

// newEtcdCommand is a single-member etcd: only the settings a test bed needs,
// under the names that the etcd program gives them.
func newEtcdCommand() *cobra.Command {
	cfg := embed.NewConfig()
	cfg.LogLevel = "warn"
	var client, advertise, peer string
	cmd := &cobra.Command{
		Use:          "etcd",
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(*cobra.Command, []string) error {
			for flag, target := range map[string]struct {
				value string
				urls  *[]url.URL
			}{
				"listen-client-urls":    {client, &cfg.ListenClientUrls},
				"advertise-client-urls": {advertise, &cfg.AdvertiseClientUrls},
				"listen-peer-urls":      {peer, &cfg.ListenPeerUrls},
			} {
				parsed, err := url.Parse(target.value)
				if err != nil {
					return fmt.Errorf("--%s: %w", flag, err)
				}
				*target.urls = []url.URL{*parsed}
			}
			return runEtcd(cfg)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&cfg.Dir, "data-dir", "", "directory of the data (required)")
	flags.StringVar(&client, "listen-client-urls", embed.DefaultListenClientURLs, "the one URL to serve clients on")
	flags.StringVar(&advertise, "advertise-client-urls", embed.DefaultAdvertiseClientURLs, "the one URL to tell clients")
	flags.StringVar(&peer, "listen-peer-urls", embed.DefaultListenPeerURLs, "the one URL to serve peers on")
	flags.StringVar(&cfg.AuthToken, "auth-token", cfg.AuthToken, "how tokens are made: simple, or jwt with its options")
	flags.StringVar(&cfg.LogLevel, "log-level", cfg.LogLevel, "debug, info, warn, error, panic or fatal")
	flags.BoolVar(&cfg.UnsafeNoFsync, "unsafe-no-fsync", false, "do not wait for the disk; a power cut may lose data")
	if err := cmd.MarkFlagRequired("data-dir"); err != nil {
		panic(err)
	}
	return cmd
}

// runEtcd serves until a signal or a failure of the server.
func runEtcd(cfg *embed.Config) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		return fmt.Errorf("starting etcd: %w", err)
	}
	defer etcd.Close()
	select {
	case <-signals:
		return nil
	case err := <-etcd.Err():
		return fmt.Errorf("serving etcd: %w", err)
	}
}

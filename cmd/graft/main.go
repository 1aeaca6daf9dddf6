// Command graft adapts multilingual decoders to a language by ELO: it trains a
// small model cut from the first and the last layer, grafts the two back, and
// aligns the whole.
//
//	graft demo
//	graft run recipe.yaml
//	graft generate out "Había una vez" --max-tokens 50
//
// A verb is a file here: an options struct and a function that runs it. Results
// go to standard output, everything else to standard error. The exit code is 0,
// 1 when something failed, 2 when the command line makes no sense, and 130 when
// an interrupt stopped it; graft diff has those of diff(1).
package main

import "os"

func main() { os.Exit(run(os.Args[1:], stdio())) }

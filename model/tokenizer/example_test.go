package tokenizer_test

import (
	"fmt"
	"log"

	"graft/model/tokenizer"
)

func Example() {
	tok, err := tokenizer.Open("testdata/stories260K.json")
	if err != nil {
		log.Fatal(err)
	}
	ids, err := tok.AppendIDs(nil, "Once upon a time", true)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ids)
	fmt.Println(tok.Decode(ids, true))
	// Output:
	// [1 403 407 261 378]
	// Once upon a time
}

func ExampleTokenizer_Encode() {
	tok, err := tokenizer.Open("testdata/gpt2.json.gz")
	if err != nil {
		log.Fatal(err)
	}
	e, err := tok.Encode("Hello wörld", false)
	if err != nil {
		log.Fatal(err)
	}
	for i, token := range e.Tokens {
		fmt.Println(e.IDs[i], token, e.Offsets[i])
	}
	// Output:
	// 15496 Hello [0 5]
	// 266 Ġw [5 7]
	// 30570 Ã¶r [7 9]
	// 335 ld [9 11]
}

func ExampleStream() {
	tok, err := tokenizer.Open("testdata/gpt2.json.gz")
	if err != nil {
		log.Fatal(err)
	}
	ids, err := tok.AppendIDs(nil, "한국", false)
	if err != nil {
		log.Fatal(err)
	}
	s := tok.NewStream(true)
	for _, id := range ids {
		fmt.Printf("%q ", s.Next(id))
	}
	fmt.Printf("%q\n", s.Flush())
	// Output:
	// "" "한" "" "" "국" ""
}

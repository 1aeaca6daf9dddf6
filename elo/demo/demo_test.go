package demo

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
)

func TestFold(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"acute but é", "áéíóú ÁÉÍÓÚ", "aéiou AEIOU"},
		{"ñ but not Ñ", "ñ Ñ", "ñ N"},
		{"others", "âêîôû ü ç à", "aeiou u c a"},
		{"decomposed", "cafe\u0301 man\u0303ana adio\u0301s", "café mañana adios"},
		{"opening marks", "¿Qué? ¡Ay!", "Qué? Ay!"},
		{"quotes", "«a» “b” ‘c’ ’", `"a" "b" 'c' '`},
		{"dashes", "a—b – c", "a-b - c"},
		{"spaces and dots", "a\u00a0b…", "a b..."},
		{"ordinals", "1ª 2º", "1a 2o"},
		{"kept", "abc, XYZ: 123\n가 ß", "abc, XYZ: 123\n가 ß"},
		{"empty", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Fold(tt.in)
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if again := Fold(got); again != got {
				t.Errorf("folded twice: got %q, want %q", again, got)
			}
		})
	}
}

func FuzzFoldTwice(f *testing.F) {
	f.Add("¿Dónde está la niña? “Aquí”—dijo.")
	f.Fuzz(func(t *testing.T, s string) {
		once := Fold(s)
		if twice := Fold(once); twice != once {
			t.Errorf("%q: got %q, then %q", s, once, twice)
		}
	})
}

func TestSpanish(t *testing.T) {
	train, held, err := Spanish()
	if err != nil {
		t.Fatal(err)
	}
	// The Bible has 1,189 chapters.
	if len(train) != 1130 || len(held) != 59 {
		t.Errorf("got %d and %d documents, want 1130 and 59", len(train), len(held))
	}
	if want := "EN el principio crio Dios los cielos y la tierra. Y la tierra estaba desordenada y vacia,"; !strings.HasPrefix(train[0], want) {
		t.Errorf("got %.90q, want %q", train[0], want)
	}
	if want := "la gracia de nuestro senor jesucristo"; !strings.Contains(strings.ToLower(Fold(train[len(train)-1])), strings.ReplaceAll(want, "senor", "señor")) {
		t.Errorf("got %.60q…, want the end of the book", train[len(train)-1])
	}
	for i, s := range slices.Concat(train, held) {
		if Fold(s) != s {
			t.Errorf("document %d is not folded", i)
		}
		if strings.Contains(s, "  ") || strings.Contains(s, " ,") || strings.TrimSpace(s) != s {
			t.Errorf("document %d has gaps", i)
		}
	}
	for _, h := range held {
		if slices.Contains(train, h) {
			t.Errorf("held-out text %.40q is trained on", h)
		}
	}
}

func TestEnglish(t *testing.T) {
	train, held, err := English()
	if err != nil || len(train) == 0 || len(held) == 0 {
		t.Errorf("got %d and %d documents, %v, want some of both", len(train), len(held), err)
	}
}

func TestBase(t *testing.T) {
	var names []string
	err := fs.WalkDir(Base(), ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, p)
		}
		return err
	})
	want := []string{"LICENSE", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("got %v, %v, want %v", names, err, want)
	}
}

package directory_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/stile-id/stile/internal/directory"
)

const maxName = directory.MaxName

func TestUX_P2_4_Names(t *testing.T) {
	names := []string{
		"Ada", "O'Hara", "O’Brien", "D'Arcy-Smith", "Jean-Luc", "Mary Ann", "de la Cruz", "van der Berg", "von und zu Stein",
		"McDonald", "St. John", "Smith Jr.", "Martin III", "X Æ A-12", "Ng", "O", "Xi", "José", "Zoë", "Björk Guðmundsdóttir",
		"Łukasz", "Dvořák", "Nguyễn Thị Hồng", "Đặng", "Şahin", "İbrahim", "Ţîrlea", "Ħamrun", "Þórr", "Señor Nuñez",
		"Алексей", "Соловьёва-Петренко", "Ґалаґан", "Γιώργος", "Παπαδόπουλος", "Հայկ", "გიორგი", "שרה", "בן־גוריון", "محمد",
		"عبد الله", "فاطمه\u200cزهرا", "आरव", "শ্রেয়া", "தமிழ்ச்செல்வி", "ශ්\u200dරී", "สมชาย", "ဒေါ်အောင်ဆန်း", "ខ្មែរ", "한지민",
		"山田", "太郎", "ﾀﾛｳ", "佐々木", "𠮷野", "ᏣᎳᎩ", "ከበደ", "ʻAkahi", "Ka‘ili", "Null", "true", "Test", "4th", "Robert'); DROP TABLE students;--",
		"<b>Bold</b>", "Win at evil.example", "Ada\u00a0Lovelace", strings.Repeat("W", maxName), strings.Repeat("語", maxName), strings.Repeat("𠮷", maxName),
	}
	if len(names) < 50 {
		t.Fatalf("the table has %d names, want 50", len(names))
	}
	for _, want := range names {
		got, err := directory.ParseName("  "+want+"\t\n", maxName)
		if err != nil || got != norm.NFC.String(want) {
			t.Errorf("ParseName(%q) = %q, %v", want, got, err)
		}
	}
}

func TestParseNameRefuses(t *testing.T) {
	tests := []struct {
		name, in string
		want     directory.NameFault
	}{
		{"nothing", "", directory.NameEmpty},
		{"spaces", " \u00a0\u3000\t", directory.NameEmpty},
		{"a zero-width space", "\u200b", directory.NameEmpty},
		{"a Hangul filler", "\u3164\u3164", directory.NameEmpty},
		{"a Braille blank", "\u2800", directory.NameEmpty},
		{"51 letters", strings.Repeat("a", maxName+1), directory.NameTooLong},
		{"51 letters of four bytes", strings.Repeat("𠮷", maxName+1), directory.NameTooLong},
		{"a megabyte", strings.Repeat("a", 1<<20), directory.NameTooLong},
		{"a null", "Ada\x00", directory.NameCharacter},
		{"a line end inside", "Ada\r\nBcc: eve", directory.NameCharacter},
		{"a tab inside", "Ada\tL", directory.NameCharacter},
		{"an escape", "\x1b[31mAda", directory.NameCharacter},
		{"a C1 control", "Ada\u0085L", directory.NameCharacter},
		{"a line separator", "Ada\u2028L", directory.NameCharacter},
		{"a right-to-left override", "Ada\u202egpj", directory.NameCharacter},
		{"an embedding", "\u202bAda", directory.NameCharacter},
		{"an isolate", "Ada\u2067x\u2069", directory.NameCharacter},
		{"a noncharacter", "Ada\ufffe", directory.NameCharacter},
		{"bytes that are not UTF-8", "Ad\xff", directory.NameCharacter},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := directory.ParseName(test.in, maxName)
			var e *directory.NameError
			if !errors.As(err, &e) || e.Fault != test.want {
				t.Errorf("ParseName(%q): %v, want %q", test.in, err, test.want)
			}
		})
	}
}

func TestParseNameCountsAfterNFC(t *testing.T) {
	decomposed := strings.Repeat("e\u0301", maxName)
	got, err := directory.ParseName(decomposed, maxName)
	if err != nil || utf8.RuneCountInString(got) != maxName {
		t.Errorf("ParseName of %d decomposed letters = %q, %v", maxName, got, err)
	}
}

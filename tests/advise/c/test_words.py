"""Compilers' flags: what they mean, and which are for one machine."""

from __future__ import annotations

from pytest_xinchuang.advise.c.words import defined, sorted_out


def test_what_a_source_means_is_kept_and_what_it_becomes_is_not() -> None:
    words = "-DA=1 -D B -UX -Iinc -I inc2 -iquoteq -isystem s -include c.h -std=gnu11 -O2 -g -Wall -Werror -o x.o -c -MD -MF d"
    said = sorted_out([*words.split(), "-fno-exceptions", "-flto", "-fgcse", "-Xclang", "-load", "-include-pch", "p"])
    assert said.machine == ()
    kept = "-D A=1 -D B -U X -I inc -I inc2 -iquote q -isystem s -include c.h -std=gnu11 -fno-exceptions"
    assert " ".join(said.meaning) == kept
    assert defined(said.meaning) == {"A", "B"}


def test_flags_of_one_machine() -> None:
    said = sorted_out(["-msse4.2", "-march=haswell", "-mfpu=neon", "-march=native", "-m64", "-Wp,-DX,-U_Y"])
    assert said.machine == ("-msse4.2", "-march=haswell", "-mfpu=neon", "-m64")
    assert said.meaning == ("-D", "X", "-U", "_Y")


def test_directories_in_which_compilers_look_by_themselves_are_left_out() -> None:
    words = [
        "-I/usr/include",
        "-I",
        "/usr/include/",
        "-isystem",
        "/usr/local/include",
        "-I/usr/include/x86_64-linux-gnu",
        "-I/usr/include/libpng16",
        "-I-",
        "-Iinc",
    ]
    assert sorted_out(words).meaning == ("-I", "/usr/include/libpng16", "-I", "inc")

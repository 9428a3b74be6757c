package client;

import lib.*;

public class Use { void f() { for (String s : L.m()) { } } }

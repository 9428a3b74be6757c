package client;

import lib.*;

public class Use { void f(L l) { try { l.m(); } catch (java.io.IOException e) {} } }

package client;

import lib.*;

public class Use extends L { @Override public void m(java.util.List<String> x) {} }

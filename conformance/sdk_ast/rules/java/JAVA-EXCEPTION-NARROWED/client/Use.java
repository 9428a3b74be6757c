package client;

import lib.*;

public class Use extends L { @Override public void m() throws java.io.IOException {} }

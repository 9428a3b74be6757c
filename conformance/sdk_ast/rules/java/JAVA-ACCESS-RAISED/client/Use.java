package client;

import lib.*;

public class Use extends L { @Override protected void m() {} }

package client;

import lib.*;

public class Use implements L { public void a() {} }

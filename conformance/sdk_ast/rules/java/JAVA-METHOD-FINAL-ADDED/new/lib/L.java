package lib;

public class L { public final void m() {} }

package lib;

public abstract class L { public void m() {} }

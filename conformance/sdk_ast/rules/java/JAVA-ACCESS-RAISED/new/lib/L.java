package lib;

public class L { public void m() {} }

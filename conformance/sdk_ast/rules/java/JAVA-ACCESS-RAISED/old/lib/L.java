package lib;

public class L { protected void m() {} }

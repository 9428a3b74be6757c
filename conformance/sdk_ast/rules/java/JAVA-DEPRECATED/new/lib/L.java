package lib;

public class L { @Deprecated public void m() {} }

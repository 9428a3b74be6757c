package lib;

public class L { public void m() throws java.io.IOException {} }

package lib;

public class L { public int m(int a) { return a; } }

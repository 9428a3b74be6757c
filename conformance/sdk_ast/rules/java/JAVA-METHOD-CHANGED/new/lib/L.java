package lib;

public class L { public String m(String a) { return a; } }

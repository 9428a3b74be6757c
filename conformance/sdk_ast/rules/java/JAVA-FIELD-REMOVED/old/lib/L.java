package lib;

public class L { public int f; }

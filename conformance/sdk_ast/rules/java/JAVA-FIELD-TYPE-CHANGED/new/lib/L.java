package lib;

public class L { public String f; }

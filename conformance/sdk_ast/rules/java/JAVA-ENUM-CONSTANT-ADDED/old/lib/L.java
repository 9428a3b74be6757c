package lib;

public enum L { A }

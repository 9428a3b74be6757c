package lib;

import java.util.*;
public class L { public void m(List<String> x) {} }

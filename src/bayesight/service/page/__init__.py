"""The page: what a run answers, learns and believes, for people; alive with a script, whole without.

```
routes      views and forms             rendering  templates, headers
details     all that is known of an     history    the belief over time
            image                       theorem    a test in one's hands
showing     rows, sentences, figures    figures    drawings a script moves
pictures    of known images
```
"""

from bayesight.service.page.routes import router

__all__ = ["router"]
